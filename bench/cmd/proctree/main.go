// proctree PID... prints CPU, memory, switches of a process tree; with -over S
// it prints the difference over S seconds (idle wakeups).
package main

import (
	"flag"
	"fmt"
	"qmail-smtpd/bench/internal/proc"
	"strconv"
	"time"
)

func main() {
	over := flag.Float64("over", 0, "seconds to observe")
	flag.Parse()
	var pids []int
	for _, a := range flag.Args() {
		p, _ := strconv.Atoi(a)
		pids = append(pids, p)
	}
	c0 := proc.CPU(pids...)
	v0, i0 := proc.Switches(pids...)
	if *over > 0 {
		time.Sleep(time.Duration(*over * float64(time.Second)))
	}
	m := proc.ReadMem(pids...)
	c1 := proc.CPU(pids...)
	v1, i1 := proc.Switches(pids...)
	fmt.Printf("procs=%d threads=%d rss_kib=%d pss_kib=%d priv_kib=%d pte_kib=%d kstack_kib=%d cpu_s=%.2f vol=%d invol=%d", m.Procs, m.Threads, m.RSS, m.PSS, m.Priv, m.PTE, m.KStack, c1, v1, i1)
	if *over > 0 {
		fmt.Printf(" over_s=%.1f d_cpu_s=%.2f d_vol=%d d_invol=%d wakeups_per_min=%.1f", *over, c1-c0, v1-v0, i1-i0, float64(v1-v0)*60 / *over)
	}
	fmt.Println()
}
