package infra

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/calfed/calfed/api/v1alpha1"
)

var (
	defaultCPU    = resource.MustParse("100m")
	defaultMemory = resource.MustParse("128Mi")
	defaultLimit  = resource.MustParse("512Mi") // of memory; none of CPU, which would only make peers wait
	// snapshotLimit holds what a snapshot can be at most, 256 Secrets of 1 MiB, and one shard more while it is replaced. What is
	// used of it counts against the memory limit.
	snapshotLimit = resource.MustParse("320Mi")
)

// heapPercent of the memory limit is for Go's heap; the rest is for the snapshot's files, stacks and buffers of the kernel.
const heapPercent = 80

// resources are those of the spec, resource by resource, and defaults for what it leaves out. A default gives way where it
// would make a request larger than its limit.
func resources(spec *v1alpha1.PodResources) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	if spec != nil {
		maps.Copy(out.Requests, spec.Requests)
		maps.Copy(out.Limits, spec.Limits)
	}
	if _, set := out.Limits[corev1.ResourceMemory]; !set {
		out.Limits[corev1.ResourceMemory] = larger(defaultLimit, out.Requests[corev1.ResourceMemory])
	}
	for name, value := range map[corev1.ResourceName]resource.Quantity{corev1.ResourceCPU: defaultCPU, corev1.ResourceMemory: defaultMemory} {
		if _, set := out.Requests[name]; set {
			continue
		}
		if limit, bounded := out.Limits[name]; bounded && limit.Cmp(value) < 0 {
			value = limit
		}
		out.Requests[name] = value
	}
	return out
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) < 0 {
		return b
	}
	return a
}
