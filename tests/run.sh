#!/bin/sh
# What prove runs for each test: a shell script as such, a program as itself.
# A program's name tells the build it came from (asan, tsan), so that a failure
# names what repeats it.
case $1 in
*.t) exec sh "$@" ;;
*.lua) exec lua5.4 "$@" ;;
*) exec "$@" ;;
esac
