// Package interop holds the tests against real calendar servers; they have the build tag "interop" and run by
// `make interop`. README.md beside this file says what they start.
package interop
