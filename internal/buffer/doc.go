// Package buffer pools the memory of messages that ws and seal read or write.
package buffer
