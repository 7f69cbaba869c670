package controllers

import "sigs.k8s.io/controller-runtime/pkg/manager"

func setupSnapshot(mgr manager.Manager, d *deps) error { return nil }
