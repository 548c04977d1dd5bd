; two architectures that share what they answer to socket
.order little
        ld   [arch]
        jeq  #0xc000003e, x86_64
        jeq  #0x40000003, x86
        ret  kill_process

x86_64: ld   [nr]
        jset #0x40000000, enosys
        jeq  #59, deny
        jeq  #41, socket
        jeq  #16, ioctl
        jge  #101, range
        ja   allow
x86:    ld   [nr]
        jeq  #11, deny
        jeq  #359, socket
        jeq  #54, ioctl, allow

range:  jgt  #101, allow               ; only ptrace is left
        ld   [args[0].lo]
        jeq  #0, deny, allow

socket: ld   [args[0].hi]
        jne  #0, deny
        ld   [args[0].lo]
        jeq  #1, allow
        jne  #2, afnosupport
        ld   [args[1].lo]
        and  #0xf
        jeq  #1, allow, deny
ioctl:  ld   [args[1].lo]
        jeq  #0x5412, deny
allow:  ret  allow
deny:   ret  errno(1)
afnosupport: ret errno(97)
enosys: ret  errno(38)
