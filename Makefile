# Every target but help builds what it needs by itself.
GO = go
BINARIES = tcpserver multilog svcompat qmail-queue qmail-smtpd-conf
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
export CGO_ENABLED = 0

.PHONY: help
help:
	@echo 'make build   put every command under its own name into bin/'
	@echo 'make run     a trial SMTP service on 127.0.0.1:2525, no root needed'
	@echo 'make test    everything, as root on Debian; installs what it needs'
	@echo 'make deb     Debian packages in dist/; make rpm: RPM packages'
	@echo 'make shell   an interactive machine with the packages installed, as root'
	@echo 'make bench   ours against the C originals, as ratios'
	@echo 'make fuzz    each parser for FUZZTIME (60s)'
	@echo 'make lint    gofmt, go vet, staticcheck'
	@echo 'make clean   remove what the other targets made'

.PHONY: build
build:
	@mkdir -p bin
	$(GO) build -trimpath -o bin/ $(addprefix ./cmd/,$(BINARIES))
	@for b in $(BINARIES); do \
		for c in $$(bin/$$b --list-commands); do \
			[ $$c = $$b ] || ln -sf $$b bin/$$c; \
		done; \
	done

.PHONY: run
run: build
	@PORT=$(PORT) scripts/trial
PORT = 2525

# Packages run one after another: many of their tests make machines, fill
# disks, and kill services under load.
.PHONY: test
test: prerequisites lint originals build
	$(GO) test -shuffle=on -timeout 8m ./...

.PHONY: bench
bench: originals build
	@bench/run

FUZZTIME = 60s
.PHONY: fuzz
fuzz:
	@$(GO) list -f '{{.Dir}}' ./... | while read dir; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\)(f .*/\1/p' $$dir/*_test.go 2>/dev/null); do \
			echo "$$dir $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$dir || exit 1; \
		done; \
	done

.PHONY: prerequisites
prerequisites:
	@scripts/install-prerequisites

.PHONY: lint
lint:
	@unformatted=$$(gofmt -l $$(find . -name '*.go' -not -path './.cache/*')); \
	[ -z "$$unformatted" ] || { echo "not gofmt-clean: $$unformatted" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	@pages=$$(find docs/man -name '*.[158]'); mandoc -Tlint -Wwarning $$pages

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

.PHONY: clean
clean:
	rm -rf bin dist trial .cache

.PHONY: deb rpm
deb rpm:
	@packaging/build $@

# A throw-away machine with systemd of its own and the packages installed.
.PHONY: shell
shell: deb
	@$(GO) run ./test/machine/shell dist/*.deb
