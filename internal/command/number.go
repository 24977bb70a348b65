package command

// ScanNumber reads the decimal digits that text begins with, as the classic
// programs do: no sign, a silent stop at the first other byte, 0 where there
// is no digit, and wrapping at 2^64. It returns the number and how many
// bytes it took.
func ScanNumber(text string) (number uint64, taken int) {
	for taken < len(text) && text[taken] >= '0' && text[taken] <= '9' {
		number = number*10 + uint64(text[taken]-'0')
		taken++
	}
	return number, taken
}
