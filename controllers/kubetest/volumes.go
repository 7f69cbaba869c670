package kubetest

import (
	"context"
	"fmt"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// volumes are folders, one a volume of a pod.
type volumes struct {
	pod     *pod
	dir     string
	folders map[string]*folder
	tokens  map[string][]byte // by audience; valid for longer than a test
}

func (v *volumes) path(volume string) string { return filepath.Join(v.dir, volume) }

// renew makes the volumes show what the objects behind them hold now.
func (v *volumes) renew(ctx context.Context, object *corev1.Pod) error {
	if v.folders == nil {
		v.folders, v.tokens = map[string]*folder{}, map[string][]byte{}
	}
	for i := range object.Spec.Volumes {
		volume := &object.Spec.Volumes[i]
		f := v.folders[volume.Name]
		if f == nil {
			var err error
			if f, err = newFolder(v.path(volume.Name)); err != nil {
				return err
			}
			v.folders[volume.Name] = f
		}
		if volume.EmptyDir != nil {
			continue
		}
		files, err := v.files(ctx, object, &volume.VolumeSource)
		if err == nil {
			err = f.show(files)
		}
		if err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	return nil
}

func (v *volumes) files(ctx context.Context, object *corev1.Pod, from *corev1.VolumeSource) (map[string][]byte, error) {
	files := map[string][]byte{}
	switch {
	case from.Secret != nil:
		return files, v.secret(ctx, files, from.Secret.SecretName, from.Secret.Items, from.Secret.Optional)
	case from.ConfigMap != nil:
		return files, v.configMap(ctx, files, from.ConfigMap.Name, from.ConfigMap.Items, from.ConfigMap.Optional)
	case from.DownwardAPI != nil:
		return files, v.downward(object, files, from.DownwardAPI.Items)
	case from.Projected != nil:
		for i := range from.Projected.Sources {
			if err := v.project(ctx, object, files, &from.Projected.Sources[i]); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
	return nil, unsupported("this kind of volume")
}

func (v *volumes) project(ctx context.Context, object *corev1.Pod, files map[string][]byte, from *corev1.VolumeProjection) error {
	switch {
	case from.Secret != nil:
		return v.secret(ctx, files, from.Secret.Name, from.Secret.Items, from.Secret.Optional)
	case from.ConfigMap != nil:
		return v.configMap(ctx, files, from.ConfigMap.Name, from.ConfigMap.Items, from.ConfigMap.Optional)
	case from.DownwardAPI != nil:
		return v.downward(object, files, from.DownwardAPI.Items)
	case from.ServiceAccountToken != nil:
		token, err := v.token(ctx, object, from.ServiceAccountToken)
		files[from.ServiceAccountToken.Path] = token
		return err
	}
	return unsupported("this kind of projection")
}

func (v *volumes) secret(ctx context.Context, files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool) error {
	var s corev1.Secret
	if err := v.get(ctx, name, &s, optional); err != nil {
		return err
	}
	return pick(files, s.Data, items, optional)
}

func (v *volumes) configMap(ctx context.Context, files map[string][]byte, name string, items []corev1.KeyToPath, optional *bool) error {
	var m corev1.ConfigMap
	if err := v.get(ctx, name, &m, optional); err != nil {
		return err
	}
	data := map[string][]byte{}
	for key, text := range m.Data {
		data[key] = []byte(text)
	}
	for key, value := range m.BinaryData {
		data[key] = value
	}
	return pick(files, data, items, optional)
}

func (v *volumes) get(ctx context.Context, name string, into client.Object, optional *bool) error {
	k := v.pod.kubelet
	err := k.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: name}, into)
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil
	}
	return err
}

// pick puts the values of the named keys, or of all, into files.
func pick(files, data map[string][]byte, items []corev1.KeyToPath, optional *bool) error {
	if len(items) == 0 {
		for key, value := range data {
			files[key] = value
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && (optional == nil || !*optional) {
			return fmt.Errorf("no key %q", item.Key)
		}
		if ok {
			files[item.Path] = value
		}
	}
	return nil
}

func (v *volumes) downward(object *corev1.Pod, files map[string][]byte, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return unsupported("a resourceFieldRef in a volume")
		}
		value, err := v.pod.field(object, item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		files[item.Path] = []byte(value)
	}
	return nil
}

// token is bound to the pod, so that it ends with it.
func (v *volumes) token(ctx context.Context, object *corev1.Pod, want *corev1.ServiceAccountTokenProjection) ([]byte, error) {
	if token, ok := v.tokens[want.Audience]; ok {
		return token, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: want.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: object.Name, UID: object.UID},
	}}
	if want.Audience != "" {
		request.Spec.Audiences = []string{want.Audience}
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: object.Namespace, Name: object.Spec.ServiceAccountName}}
	if err := v.pod.kubelet.client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, err
	}
	v.tokens[want.Audience] = []byte(request.Status.Token)
	return v.tokens[want.Audience], nil
}
