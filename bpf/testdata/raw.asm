; what no notation holds for, and actions that the kernel does not take as they stand
raw 0x94, 0, 0, 3
raw 0x30, 0, 0, 0
raw 0x0c, 0, 0, 0xa539
raw 0x15, 200, 0, 1
raw 0xffff, 255, 255, 0xffffffff
ld [62]
ld #70000
ld #-2
st M[15]
jset #1, 10, 11
ret errno(4095)
ret #0x0005ffff
ret #0x7ffc0001
ret #0x7ff00007
ret trap(9)
ret notify
ret #0x7fc00001
ret kill_thread
ret #0x00010000
