#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each: hack/fuzz.sh 5s
set -euo pipefail
time=${1:-1m}
cd "$(dirname "$0")/.."
n=0
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
	echo "--- $target ($(dirname "$file"))"
	go test -run '^$' -fuzz "^${target}\$" -fuzztime "$time" -fuzzminimizetime 10x "./$(dirname "$file")" | grep -vE '^fuzz: elapsed|^=== ' || {
		echo "$target failed: the input is in $(dirname "$file")/testdata/fuzz/$target" >&2
		exit 1
	}
	n=$((n + 1))
done < <(git ls-files '*_test.go' | xargs grep -E '^func Fuzz[A-Za-z0-9_]*\(f \*testing\.F\)' | sort)
[ "$n" -gt 0 ] || { echo 'no fuzz target found' >&2; exit 1; }
echo "$n fuzz targets, $time each"
