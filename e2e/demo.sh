#!/bin/bash
# Starts millicent, deploys the examples, calls each over the Lambda API and
# over its URL, prints the answers with their times, and stops it again.
set -euo pipefail
cd "$(dirname "$0")/.."

port=${PORT:-4566}
export MILLICENT_ENDPOINT=http://127.0.0.1:$port
data=$(mktemp -d)
server=""
stop() {
	if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
		kill -INT "$server"
		wait "$server" || true
	fi
	rm -rf "$data"
}
trap stop EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$'\e[1m'; dim=$'\e[2m'; off=$'\e[0m'; else bold="" dim="" off=""; fi
say() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$off"; "$@"; }

# call NAME URL-OR-ROUTE [CURL-OPTIONS]: one call with its time.
call() {
	local label=$1 url=$2
	shift 2
	local out
	out=$(curl -sS --max-time 60 -w '\n%{http_code} %{time_total}' "$@" "$url")
	local body=${out%$'\n'*} meta=${out##*$'\n'}
	printf '  %-22s %s  %8.1f ms  %s\n' "$label" "${meta% *}" "$(awk -v s="${meta#* }" 'BEGIN { print s * 1000 }')" "$body"
	[ "${meta% *}" = 200 ]
}

say "Starting millicent on 127.0.0.1:$port"
bin/millicent up --data "$data" --listen "127.0.0.1:$port" 2>"$data.log" &
server=$!
for _ in $(seq 200); do
	curl -fs "$MILLICENT_ENDPOINT/_millicent/health" >/dev/null 2>&1 && break
	if ! kill -0 "$server" 2>/dev/null; then
		cat "$data.log" >&2
		exit 1
	fi
	sleep 0.05
done
bin/millicent version

say "Deploying the examples"
for fn in python-hello node-hello go-hello; do
	run bin/millicent deploy "examples/$fn"
done

for fn in python-hello node-hello go-hello; do
	say "$fn"
	route=$MILLICENT_ENDPOINT/2015-03-31/functions/$fn/invocations
	call "Lambda API, cold" "$route" -d '{"name":"millicent"}'
	call "Lambda API, warm" "$route" -d '{"name":"millicent"}'
	url=$(bin/millicent url "$fn")
	call "URL, warm" "$url?name=millicent" --resolve "$(echo "$url" | sed -E 's|^http://([^/]+)/.*|\1|'):127.0.0.1"
	call "URL by path, warm" "$MILLICENT_ENDPOINT/_url/$(echo "$url" | sed -E 's|^http://([^.]+)\..*|\1|')/?name=millicent"
done

if command -v /usr/bin/aws >/dev/null 2>&1; then
	say "The same through the AWS CLI"
	export AWS_ACCESS_KEY_ID=demo AWS_SECRET_ACCESS_KEY=demo AWS_DEFAULT_REGION=us-east-1
	run /usr/bin/aws --endpoint-url "$MILLICENT_ENDPOINT" lambda list-functions --query 'Functions[].[FunctionName,Runtime,Handler]' --output text
	run /usr/bin/aws --endpoint-url "$MILLICENT_ENDPOINT" lambda invoke --function-name python-hello --cli-binary-format raw-in-base64-out --payload '{"name":"AWS CLI"}' "$data/answer.json" --query StatusCode
	cat "$data/answer.json"
	echo
fi

say "Logs of go-hello"
bin/millicent logs go-hello | tail -n 4

say "Stopping"
kill -INT "$server"
wait "$server"
server=""
echo "stopped cleanly; run 'make up' to leave it running"
