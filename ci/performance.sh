#!/usr/bin/env bash
# The README's figures of performance are those of docs/performance/figures.tsv, which benches/report measures and writes
# beside docs/performance.md. Without an argument: fails if one differs, is unknown or has no mark. With `--write`: puts
# the measured ones in.
#
# A figure of the README has a mark behind it, which is not shown: `1.21<!-- detection.p50.current-thread -->`.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp)
trap 'rm -f "$made"' EXIT
perl - docs/performance/figures.tsv docs/performance.md README.md >"$made" <<'PERL'
use strict;
use warnings;

my ($figures, $page, $readme) = @ARGV;
my (%figure, $failed);
open my $in, '<', $figures or die "$figures: $!\n";
while (<$in>) {
    chomp;
    my ($name, $value) = split /\t/, $_, 2;
    die "$figures:$.: not a name, a tab and a value\n" unless defined $value;
    $figure{$name} = $value;
}

# Each figure stands on the page, in the section of its name.
open $in, '<', $page or die "$page: $!\n";
my $text = do { local $/; <$in> };
for my $name (sort keys %figure) {
    my ($section) = $name =~ /^([^.]+)\./ or die "$figures: $name names no section\n";
    my ($part) = $text =~ /<!-- \Q$section\E: begin -->\n(.*?)<!-- \Q$section\E: end -->/s
        or die "$page has no section $section, which has the figure $name\n";
}

my $value = qr/never[^|<]*|\d[\d.]*(?:-\d+-\d+)?/;
my ($checked, $marks) = (1, 0);
open $in, '<', $readme or die "$readme: $!\n";
while (<$in>) {
    # The crate's documentation is a copy, and has no figures of performance.
    $checked = 0 if /^<!-- crate docs: begin -->$/;
    $checked = 1 if /^## What it does, in figures$/;
    $checked = 0 if /^## Examples$/;
    s{($value)<!-- ([\w.-]+) -->}{
        $marks++;
        if (defined $figure{$2}) { "$figure{$2}<!-- $2 -->" }
        else { warn "performance: $readme:$.: no figure $2\n"; $failed = 1; $& }
    }ge;
    if ($checked && /(?<![\w.-])(?:\d+\.\d+(?![\d.]*<!--)|\d+ (?:ns|µs|ms|MB|GiB)\b)/) {
        my $number = $&;
        warn "performance: $readme:$.: $number has no mark\n";
        $failed = 1;
    }
    print;
}
die "performance: $readme has no figures\n" unless $marks;
exit 1 if $failed;
PERL

if [[ ${1:-} == --write ]]; then
    cat "$made" >README.md
    echo "performance: written"
elif diff -u README.md "$made"; then
    echo "performance: the README's figures are those of docs/performance.md"
else
    echo "performance: README.md differs from docs/performance/figures.tsv: run ci/performance.sh --write" >&2
    exit 1
fi
