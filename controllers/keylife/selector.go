package keylife

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/calfed/calfed/api/v1alpha1"
)

const defaultPrefix = "cal"

// stamp is what follows the prefix in a Unique selector.
var stamp = regexp.MustCompile(`^-([0-9]{8})-([0-9]{6,8})$`)

// uniqueSelector is {prefix}-{yyyymmdd}-{n}: n is the time of the day, hhmmss, so that a selector is new even when all memory of
// former ones is gone, as after a restore from a backup. It is past the newest that is remembered, wherever the
// clock went meanwhile, and none of those taken.
func uniqueSelector(prefix string, now time.Time, remembered, taken []string) string {
	now = now.UTC()
	day, n := now.Format("20060102"), now.Hour()*10000+now.Minute()*100+now.Second()
	for _, s := range remembered {
		m := stamp.FindStringSubmatch(strings.TrimPrefix(s, prefix))
		if m == nil || !strings.HasPrefix(s, prefix) {
			continue
		}
		used, err := strconv.Atoi(m[2])
		if c := cmp.Compare(m[1], day); err == nil && (c > 0 || c == 0 && used >= n) {
			day, n = m[1], used+1
		}
	}
	for {
		s := fmt.Sprintf("%s-%s-%06d", prefix, day, n)
		if !slices.Contains(taken, s) {
			return s
		}
		n++
	}
}

func prefix(g *v1alpha1.GeneratedKey) string { return cmp.Or(g.SelectorPrefix, defaultPrefix) }
