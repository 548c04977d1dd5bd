package main

import "errors"

func (e *explained) page(file string) error { return errors.New("to come") }
