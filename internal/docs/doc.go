// Package docs tests the documents of the repository: every link inside it resolves, every block
// of Go in them compiles, and every table that repeats the code is compared with it.
package docs
