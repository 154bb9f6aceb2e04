package main

func hideMemory() {} // processes that are not signed for debugging are closed to debuggers there
