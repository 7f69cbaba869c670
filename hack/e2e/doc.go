// Package e2e holds the tests on a real cluster; they have the build tag "e2e" and run by `make e2e`. README.md beside this file says
// what they need and what they start.
package e2e
