package inet

// Operands takes apart what tcpserver and tcpclient have after their options:
// a host, a port, and a program with its arguments. It tells whether all are
// there. Where the program is not, and the port is none either, it passes: that
// the port is none is what is complained of first.
func Operands(args []string) (host, port string, program []string, ok bool) {
	if len(args) == 2 {
		if _, ok := Port(args[1]); !ok {
			args = append(args, "")
		}
	}
	if len(args) < 3 {
		return "", "", nil, false
	}
	return args[0], args[1], args[2:], true
}
