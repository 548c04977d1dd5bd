// x32 and x86_64 in one tree, as if the machine were big-endian; the rest is what has no name
.order big
ld [nr]
ldx #1
stx M[3]
ld [arch]
jeq #0xc000003e, 1, bad
1: ld [nr]
and #0xbfffffff
jeq #41, socket
jlt #59, allow
jeq #59, deny, allow
socket: ld [args[0].lo]
jeq #2, allow
ld [ip.hi]
ldx M[3]
lsh x
tax
ld #len
jgt x, deny, allow
deny: ret a
bad: ret #0x12345678
allow: ret #0x7fff0001
