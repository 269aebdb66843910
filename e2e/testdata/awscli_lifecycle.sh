#!/bin/sh
# A function's life through the AWS CLI: run with the endpoint and a zip's path.
set -eu
endpoint=$1
zip=$2
out=$(mktemp)
trap 'rm -f "$out"' EXIT
lambda() { /usr/bin/aws --endpoint-url "$endpoint" lambda "$@"; }
same() { [ "$1" = "$2" ] || { echo "got $1, want $2" >&2; exit 1; }; }

lambda create-function --function-name cli --runtime nodejs20.x --handler index.handler \
	--role arn:aws:iam::000000000000:role/r --zip-file "fileb://$zip" >/dev/null
lambda wait function-active-v2 --function-name cli
lambda invoke --function-name cli --cli-binary-format raw-in-base64-out --payload '{"n":1}' "$out" >/dev/null
same "$(cat "$out")" '{"version":"$LATEST","event":{"n":1}}'
lambda update-function-configuration --function-name cli --timeout 9 >/dev/null
lambda wait function-updated-v2 --function-name cli
lambda update-function-code --function-name cli --zip-file "fileb://$zip" >/dev/null
lambda wait function-updated-v2 --function-name cli
same "$(lambda publish-version --function-name cli --query Version --output text)" 1
lambda create-alias --function-name cli --name live --function-version 1 >/dev/null
lambda wait function-active-v2 --function-name cli --qualifier 1
lambda invoke --function-name cli --qualifier live "$out" >/dev/null
same "$(cat "$out")" '{"version":"1","event":{}}'
same "$(lambda list-functions --query 'Functions[].FunctionName' --output text)" cli
same "$(lambda invoke --function-name cli --invocation-type Event --query StatusCode --output text "$out")" 202
same "$(lambda invoke --function-name cli --invocation-type DryRun --query StatusCode --output text "$out")" 204
lambda delete-function --function-name cli
if lambda get-function --function-name cli >/dev/null 2>&1; then
	echo "the deleted function is still there" >&2
	exit 1
fi
echo ok
