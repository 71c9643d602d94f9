// Package method has the property of HTTP methods that several packages of this module
// decide by.
package method

import "net/http"

// IsSafe follows RFC 9110 §9.2.1.
func IsSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}
