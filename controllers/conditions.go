package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/calfed/calfed/api/v1alpha1"
	"github.com/calfed/calfed/controllers/compile"
)

// statusFindings is how many findings a message has room for.
const statusFindings = 4

// condition makes one that says what holds.
func condition(kind string, holds bool, reason, message string) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	if holds {
		c.Status = metav1.ConditionTrue
	}
	return c
}

// conditions returns what an object has with want in it and nothing else. Their order and the times of those whose status
// stays are kept, so that equal conditions give equal lists.
func conditions(has []metav1.Condition, generation int64, now time.Time, want ...metav1.Condition) []metav1.Condition {
	out := slices.DeleteFunc(slices.Clone(has), func(c metav1.Condition) bool {
		return !slices.ContainsFunc(want, func(w metav1.Condition) bool { return w.Type == c.Type })
	})
	for _, c := range want {
		c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(now.Truncate(time.Second))
		apimeta.SetStatusCondition(&out, c)
	}
	return out
}

// writeStatus applies a status in place of the one the object has, when they differ.
func writeStatus[S any](ctx context.Context, c client.Client, o client.Object, has, want S) error {
	return writeStatusAt(ctx, c, o, "", has, want)
}

// writeStatusAt is writeStatus for an object that still has the version; the error is a conflict when it has another.
func writeStatusAt[S any](ctx context.Context, c client.Client, o client.Object, version string, has, want S) error {
	if apiequality.Semantic.DeepEqual(has, want) {
		return nil
	}
	gvk, err := apiutil.GVKForObject(o, c.Scheme())
	if err != nil {
		return err
	}
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&want)
	if err != nil {
		return fmt.Errorf("status of %s: %w", gvk.Kind, err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	u.SetGroupVersionKind(gvk)
	u.SetNamespace(o.GetNamespace())
	u.SetName(o.GetName())
	u.SetUID(o.GetUID()) // not another object's that came under the name since
	u.SetResourceVersion(version)
	return c.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(u), client.FieldOwner(statusOwner), client.ForceOwnership)
}

// failure returns the reason and the message of the errors among findings; both are empty when there is none.
func failure(findings []compile.Finding) (reason, message string) {
	errors := slices.DeleteFunc(slices.Clone(findings), func(f compile.Finding) bool { return f.Severity != compile.Error })
	if len(errors) == 0 {
		return "", ""
	}
	return errors[0].Reason, sentence(errors)
}

// sentence says what findings say.
func sentence(findings []compile.Finding) string {
	var out []string
	for i, f := range findings {
		if i == statusFindings {
			out = append(out, "and more")
			break
		}
		out = append(out, f.Field+": "+f.Message)
	}
	return strings.Join(out, "; ")
}

// stalls says whether an edit of the spec alone cures one of the errors among findings: a value in the object itself that
// cannot be used. What a reference leads to may still come or change.
func stalls(findings []compile.Finding) bool {
	return slices.ContainsFunc(findings, func(f compile.Finding) bool {
		return f.Severity == compile.Error && f.Reason == v1alpha1.ReasonInvalidValue && !strings.Contains(f.Field, "Ref.") && !strings.HasSuffix(f.Field, "Ref")
	})
}
