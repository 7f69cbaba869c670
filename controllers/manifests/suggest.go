package manifests

import "slices"

// suggest returns the name that was probably meant, or "".
func suggest(typo string, names []string) string {
	best, bestDistance := "", max(2, len(typo)/3)+1
	for _, name := range slices.Sorted(slices.Values(names)) {
		if d := distance(typo, name); d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// maxTypo is the longest name that is compared: longer ones are no typing mistakes, and the comparison is quadratic.
const maxTypo = 64

// distance counts the letters to insert, delete or replace, and the neighbours to exchange, between two names (optimal
// string alignment). ASCII case counts nothing: it is the commonest mistake.
func distance(a, b string) int {
	if len(a) > maxTypo || len(b) > maxTypo {
		return maxTypo
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if lower(a[i-1]) == lower(b[j-1]) {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && lower(a[i-1]) == lower(b[j-2]) && lower(a[i-2]) == lower(b[j-1]) {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
