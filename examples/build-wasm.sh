#!/bin/sh
# Builds the examples that are WebAssembly modules into a folder each, as the
# bootstrap of a function: OUT/wasm-c/bootstrap and so on.
#
#   build-wasm.sh OUT [NAME...]
#
# `make examples-wasm` installs what that takes: of Debian's clang, lld, wasi-libc
# and libclang-rt-dev-wasm32 for C, rustc and libstd-rust-dev-wasm32 for Rust;
# of npm's assemblyscript.
set -eu
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- wasm-c wasm-rust wasm-go-command wasm-go-reactor wasm-assemblyscript

for name; do
	mkdir -p "$out/$name"
	to=$out/$name/bootstrap
	case $name in
	wasm-c)
		/usr/bin/clang --target=wasm32-wasi -O2 -Wall -Wextra -Werror -s -o "$to" $name/main.c
		;;
	wasm-rust)
		/usr/bin/rustc --edition 2021 --target wasm32-unknown-unknown --crate-type cdylib \
			-C opt-level=3 -C panic=abort -C strip=symbols -C linker=wasm-ld -o "$to" $name/lib.rs
		;;
	wasm-go-command)
		CGO_ENABLED=0 GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags '-s -w' -o "$to" ./$name
		;;
	wasm-go-reactor)
		CGO_ENABLED=0 GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags '-s -w' -buildmode=c-shared -o "$to" ./$name
		;;
	wasm-assemblyscript)
		(cd $name && node_modules/.bin/asc index.ts --outFile "$to" -O --runtime stub --use abort=index/abort)
		;;
	*)
		echo "there is no example $name of this kind" >&2
		exit 2
		;;
	esac
done
