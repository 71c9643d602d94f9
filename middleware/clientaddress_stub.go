package middleware

import "net/http"

func clientAddress(r *http.Request) string { return r.RemoteAddr }
