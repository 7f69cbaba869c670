package rounds

// turns are the things that are due. Their namespaces take turns, in two rings: those with things that go first, and those with
// things whose time has come.
type turns struct {
	most   int // looks at the same time in one namespace
	all    map[string]*namespace
	rings  [2][]*namespace // the next first
	streak int             // things of the first ring in a row
}

// The rings.
const (
	first = 0
	rest  = 1
)

// longestStreak is how many things go first before one of those has its turn that have waited for it.
const longestStreak = 3

type namespace struct {
	name    string
	due     [2]queue
	inRing  [2]bool
	running int
}

// newTurns keeps a quarter of the workers free for others than the namespace that has most of them.
func newTurns(workers int) turns {
	return turns{most: workers - workers/4, all: map[string]*namespace{}}
}

func (t *turns) add(i *item) {
	n := t.all[i.name.Namespace]
	if n == nil {
		n = &namespace{name: i.name.Namespace}
		t.all[i.name.Namespace] = n
	}
	ring := rest
	if i.soon {
		ring = first
	}
	n.due[ring].add(i)
	if !n.inRing[ring] {
		n.inRing[ring] = true
		t.rings[ring] = append(t.rings[ring], n)
	}
}

// take returns what is to be looked at next; nil when nothing may be before a look has ended.
func (t *turns) take() *item {
	order := [2]int{first, rest}
	if t.streak >= longestStreak {
		order = [2]int{rest, first}
	}
	for _, ring := range order {
		i := t.takeFrom(ring)
		if i == nil {
			continue
		}
		if t.streak++; ring == rest {
			t.streak = 0
		}
		return i
	}
	return nil
}

func (t *turns) takeFrom(ring int) *item {
	for range len(t.rings[ring]) {
		n := t.rings[ring][0]
		t.rings[ring] = t.rings[ring][1:]
		var i *item
		if len(n.due[ring]) > 0 && n.running < t.most {
			i = n.due[ring][0]
			i.leave()
			n.running++
		}
		if n.inRing[ring] = len(n.due[ring]) > 0; n.inRing[ring] {
			t.rings[ring] = append(t.rings[ring], n)
		}
		t.forget(n)
		if i != nil {
			return i
		}
	}
	return nil
}

// done says that a look has ended.
func (t *turns) done(i *item) {
	n := t.all[i.name.Namespace]
	n.running--
	t.forget(n)
}

// forget drops a namespace in which nothing is due.
func (t *turns) forget(n *namespace) {
	if n.running == 0 && n.inRing == [2]bool{} {
		delete(t.all, n.name)
	}
}
