#!/bin/bash
# Files and directories with set-id and sticky bits.
mkdir -p tree/group tree/sticky tree/both
chmod 2755 tree/group
chmod 1777 tree/sticky
chmod 3777 tree/both
echo a > tree/ids && chmod 6755 tree/ids
echo b > tree/plain && chmod 4644 tree/plain
