# Every target but help builds what it needs by itself.
GO = go
BINARIES = tcpserver multilog svcompat svscan qmail-queue qmail-smtpd-conf
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
export CGO_ENABLED = 0

.PHONY: help
help:
	@echo 'make build   put every command under its own name into bin/'
	@echo 'make run     a trial SMTP service on 127.0.0.1:2525, no root needed'
	@echo 'make test    everything, as root on Debian; installs what it needs'
	@echo 'make soak    kills, restarts and upgrades under mail, ROUNDS (20) times'
	@echo 'make deb     Debian packages in dist/; make rpm: RPM packages'
	@echo 'make packages       both; make tarball: the committed source and its modules'
	@echo 'make test-packages  both, checked by lintian and rpmlint, installed and upgraded'
	@echo 'make shell   an interactive machine with the packages installed, as root'
	@echo 'make systems the booted tests, with long random sequences'
	@echo 'make bench   ours against the C originals, as ratios'
	@echo 'make differential  every command beside its original: N=2000 random cases of each'
	@echo 'make durability  power cuts, kills and failing calls: CUTS=1000 KILLS=3000'
	@echo 'make fuzz    each parser for FUZZTIME (60s)'
	@echo 'make lint    gofmt, go vet, staticcheck'
	@echo 'make clean   remove what the other targets made'

.PHONY: build
build:
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ $(addprefix ./cmd/,$(BINARIES))
	@for b in $(BINARIES); do \
		for c in $$(bin/$$b --list-commands); do \
			[ bin/$$c -ef bin/$$b ] || ln -sf $$b bin/$$c; \
		done; \
	done

.PHONY: run
run: build
	@PORT=$(PORT) scripts/trial
PORT = 2525

.PHONY: test
test: prerequisites lint originals supervisors holders fail2ban debian13 build
	$(GO) test -shuffle=on -parallel 4 -timeout 25m ./...
	$(GO) test -tags durability -timeout 10m ./test/durability -cuts 50
	@scripts/fuzz 10s

# The booted tests, with long random sequences.
.PHONY: systems
systems: prerequisites originals supervisors debian13 build
	RANDOM_STEPS=500 $(GO) test -parallel 4 -timeout 2h ./test/booted

# What kills, restarts and upgrades do to mail and logs, in another order each
# round; a line tells what a round was.
ROUNDS = 20
.PHONY: soak
soak: prerequisites debian13
	$(GO) test -v -count $(ROUNDS) -timeout 3h -run '^TestZeroLoss$$' ./test/packages

.PHONY: bench
bench: originals supervisors build
	@bench/run

# Every command beside its original: N random cases of each, with the seed
# SEED, or a fixed and a fresh one.
N = 200
SEED = 0
.PHONY: differential
differential: prerequisites originals build
	$(GO) test -timeout 3h ./test/differential -cases $(N) -seed $(SEED)

# What is left after power cuts and kills, many times.
CUTS = 1000
KILLS = 3000
.PHONY: durability
durability: prerequisites build
	$(GO) test -tags durability -v -timeout 8h ./test/durability -cuts $(CUTS) -kills $(KILLS)

FUZZTIME = 60s
.PHONY: fuzz
fuzz:
	@scripts/fuzz $(FUZZTIME)

.PHONY: prerequisites
prerequisites:
	@scripts/install-prerequisites

.PHONY: lint
lint:
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.cache/*')); \
	[ -z "$$unformatted" ] || { echo "not gofmt-clean: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@pages=$$(find docs/man -name '*.[1-8]'); mandoc -Tlint -Wwarning $$pages

# The C programs that ours are compared with: Debian's packages, unpacked
# into a folder of their own and not installed.
ORIGINALS = .cache/originals
.PHONY: originals
originals: $(ORIGINALS)/usr/bin/tcpserver
$(ORIGINALS)/usr/bin/tcpserver:
	@rm -rf $(ORIGINALS) && mkdir -p $(ORIGINALS)/deb
	cd $(ORIGINALS)/deb && apt-get -q download daemontools ucspi-tcp
	for deb in $(ORIGINALS)/deb/*.deb; do dpkg-deb -x $$deb $(ORIGINALS); done
	@touch $@

# What services are moved from: Debian's unit and script of daemontools-run,
# runit and s6, unpacked together and not installed.
SUPERVISORS = .cache/supervisors
.PHONY: supervisors
supervisors: $(SUPERVISORS)/made
$(SUPERVISORS)/made:
	@rm -rf $(SUPERVISORS) && mkdir -p $(SUPERVISORS)/deb
	cd $(SUPERVISORS)/deb && apt-get -q download daemontools-run runit s6 \
		$$(apt-cache depends s6 | sed -n 's/.*Depends: \(lib\(execline\|s6\|skarnet\)\)/\1/p')
	for deb in $(SUPERVISORS)/deb/*.deb; do dpkg-deb -x $$deb $(SUPERVISORS); done
	@touch $@

# What port 25 is freed from: servers of Debian, each with what it needs that
# is not installed here.
HOLDERS = .cache/holders
.PHONY: holders
holders: $(HOLDERS)/made
$(HOLDERS)/made:
	@rm -rf $(HOLDERS)
	for package in exim4-daemon-light postfix opensmtpd sendmail-bin openbsd-inetd xinetd; do \
		mkdir -p $(HOLDERS)/$$package/partial && \
		apt-get -q -y --no-install-recommends --reinstall --download-only \
			-o Dir::Cache::archives=$(CURDIR)/$(HOLDERS)/$$package install $$package || exit; \
	done
	@touch $@

# fail2ban, to read a log with the filter that the packages have; unpacked and
# not installed.
FAIL2BAN = .cache/fail2ban
.PHONY: fail2ban
fail2ban: $(FAIL2BAN)/made
$(FAIL2BAN)/made:
	@rm -rf $(FAIL2BAN) && mkdir -p $(FAIL2BAN)/deb
	cd $(FAIL2BAN)/deb && apt-get -q download fail2ban
	dpkg-deb -x $(FAIL2BAN)/deb/*.deb $(FAIL2BAN)
	@touch $@

# The other Debian that the tests boot.
DEBIAN13 = .cache/debian13
.PHONY: debian13
debian13:
	@scripts/debian13 $(DEBIAN13)

.PHONY: clean
clean:
	rm -rf bin dist trial .cache

.PHONY: deb rpm tarball packages
deb rpm tarball:
	@packaging/build $@
packages: deb rpm

.PHONY: test-packages
test-packages: prerequisites originals supervisors holders fail2ban debian13 build packages
	$(GO) test -v -timeout 25m ./test/packages -all

# A throw-away machine with systemd of its own and the packages installed.
.PHONY: shell
shell: deb
	@$(GO) run ./test/machine/shell dist/*.deb
