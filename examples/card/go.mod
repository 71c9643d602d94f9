module github.com/securews/securews/examples/card

go 1.26.0

replace github.com/securews/securews => ../../
