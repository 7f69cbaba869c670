#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each: hack/fuzz.sh 5s
set -euo pipefail
time=${1:-1m}
cd "$(dirname "$0")/.."
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Before Go 1.27 the end of the time can itself become the target's failure (golang/go#75804): "context deadline exceeded" and nothing else.
# Such a target runs again for its whole time. Had it found something in that moment, the input is written: a seed of the next run, which fails by it.
cut_off() {
	grep -qE '^    context deadline exceeded$' "$output" && ! grep -qE 'panic:|fatal error:|Failing input|_test\.go:[0-9]+:' "$output"
}

fuzz() { # fuzz TARGET DIRECTORY
	local run
	for run in 1 2 3; do
		if go test -run '^$' -fuzz "^$1\$" -fuzztime "$time" -fuzzminimizetime 10x "./$2" >"$output" 2>&1; then
			grep -vE '^fuzz: elapsed|^=== ' "$output" || true
			return
		fi
		grep -vE '^fuzz: elapsed|^=== ' "$output" >&2 || true
		cut_off || break
		echo "$1: run $run of 3 was cut off by the end of its time, and found nothing" >&2
	done
	echo "$1 ($2) failed: see above" >&2
	return 1
}

n=0
while IFS=: read -r file line; do
	target=$(sed -E 's/^func (Fuzz[A-Za-z0-9_]*).*/\1/' <<<"$line")
	echo "--- $target ($(dirname "$file"))"
	fuzz "$target" "$(dirname "$file")"
	n=$((n + 1))
done < <(git ls-files '*_test.go' | xargs grep -HE '^func Fuzz[A-Za-z0-9_]*\(f \*testing\.F\)' | sort)
[ "$n" -gt 0 ] || { echo 'no fuzz target found' >&2; exit 1; }
echo "$n fuzz targets, $time each"
