#!/bin/bash
# Directories with modes of their own.
mkdir -p a/b/c
chmod 1777 a
chmod 700 a/b
echo one > a/b/c/one
echo two > a/b/c/two
