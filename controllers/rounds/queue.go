package rounds

import (
	"cmp"
	"container/heap"
)

// queue is a heap by due time.
type queue []*item

func (q *queue) add(i *item) {
	i.in = q
	heap.Push(q, i)
}

// leave takes the item out of the queue that it is in.
func (i *item) leave() {
	heap.Remove(i.in, i.place)
	i.in = nil
}

func (q queue) Len() int { return len(q) }
func (q queue) Less(a, b int) bool {
	return cmp.Or(q[a].due.Compare(q[b].due), cmp.Compare(q[a].number, q[b].number)) < 0
}
func (q queue) Swap(a, b int) {
	q[a], q[b] = q[b], q[a]
	q[a].place, q[b].place = a, b
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	i := x.(*item)
	i.place = len(*q)
	*q = append(*q, i)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	i := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return i
}
