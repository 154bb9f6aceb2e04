package main

func noCoreDumps(bool) {} // there are no core files; crash dumps are the system's setting
