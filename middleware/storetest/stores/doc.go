// Package stores tests this module with stores of scs that survive the process: SQLite by
// sqlite3store, and Redis by redisstore with a real redis-server. It is a module of its own, so
// that their drivers are not dependencies of the module that it tests. Servers run as processes
// of their own, which the tests end by SIGKILL.
package stores
