#!/bin/sh
# Provisioned concurrency of the function prov through the AWS CLI: run with the
# endpoint.
set -eu
endpoint=$1
lambda() { /usr/bin/aws --output text --endpoint-url "$endpoint" lambda "$@"; }

lambda put-provisioned-concurrency-config --function-name prov --qualifier live \
	--provisioned-concurrent-executions 1 --query Status | grep -qx IN_PROGRESS
until lambda get-provisioned-concurrency-config --function-name prov --qualifier live --query Status | grep -qx READY; do :; done
lambda list-provisioned-concurrency-configs --function-name prov \
	--query 'ProvisionedConcurrencyConfigs[].[FunctionArn,RequestedProvisionedConcurrentExecutions,AvailableProvisionedConcurrentExecutions]' |
	grep -q "function:prov:live	1	1$"
lambda put-provisioned-concurrency-config --function-name prov --qualifier '$LATEST' --provisioned-concurrent-executions 1 2>&1 |
	grep -q "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
lambda delete-provisioned-concurrency-config --function-name prov --qualifier live
lambda get-provisioned-concurrency-config --function-name prov --qualifier live 2>&1 |
	grep -q ProvisionedConcurrencyConfigNotFoundException
echo ok
