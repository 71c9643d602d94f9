module github.com/securews/securews/examples/upgraders

go 1.26.0

require github.com/securews/securews v0.0.0

require (
	github.com/alexedwards/scs/v2 v2.9.0 // indirect
	github.com/rs/cors v1.11.1 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/time v0.16.0 // indirect
)

replace (
	github.com/securews/securews => ../../
	github.com/securews/securews/examples => ../
)
