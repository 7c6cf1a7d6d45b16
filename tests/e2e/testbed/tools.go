//go:build tools

package main

// Helm is built from this module too, with the packages that kubectl is built from.
import _ "helm.sh/helm/v3/cmd/helm"
