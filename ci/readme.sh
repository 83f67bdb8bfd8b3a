#!/usr/bin/env bash
# The README's part between the two marks is made from the crate's documentation in src/lib.rs.
# Without an argument: fails if it has drifted. With `--write`: makes it anew.
#
# On the way headings go one level down, the hidden lines of examples are left out, and links that
# only rustdoc can follow become plain text.
set -euo pipefail
cd "$(dirname "$0")/.."

made=$(mktemp)
trap 'rm -f "$made"' EXIT
perl - src/lib.rs README.md >"$made" <<'PERL'
use strict;
use warnings;

my ($source, $readme) = @ARGV;
my @docs;
open my $in, '<', $source or die "$source: $!\n";
while (<$in>) {
    last unless m{^//!( ?(.*))$};
    push @docs, $2;
}

# Reference definitions: those that lead to a page stay.
my %page;
@docs = grep {
    my $keep = 1;
    if (/^\[([^\]]+)\]:\s*(\S+)/) {
        $keep = is_page($2);
        $page{$1} = 1 if $keep;
    }
    $keep;
} @docs;

sub is_page { return $_[0] =~ m{^(https?:|#|[^:]*/|.*\.md$)} }

# A paragraph outside of code.
sub plain {
    my ($text) = @_;
    $text =~ s{\[((?:[^\[\]`]|`[^`]*`)+)\](?:\(([^()]*(?:\([^()]*\))?[^()]*)\)|\[([^\]]*)\])?}{
        my ($all, $text, $target, $reference) = ($&, $1, $2, $3);
        if (defined $target) { is_page($target) ? $all : $text }
        elsif (defined $reference) { $page{$reference ne '' ? $reference : $text} ? $all : $text }
        elsif ($page{$text}) { $all }
        elsif ($text =~ /^`.*`$/s || $text =~ /^[\w:!()]+$/ && $text =~ /\D/) { $text }
        else { $all }
    }ge;
    $text =~ s/^(#+ )/#$1/gm;
    return $text;
}

# A link may be broken over two lines: paragraphs are taken whole, and keep their line breaks.
my (@made, @paragraph);
my ($fence, $rust) = ('', 0);
my $flush = sub {
    push @made, split /\n/, plain(join "\n", @paragraph) if @paragraph;
    @paragraph = ();
};

for (@docs) {
    if ($fence eq '' && /^\s*(`{3,}|~{3,})(.*)$/) {
        $flush->();
        ($fence, my $tags) = ($1, $2);
        my @tags = grep { $_ ne '' } split /[,\s]+/, $tags;
        $rust = !grep { !/^(rust|no_run|ignore|should_panic|compile_fail|edition\d+)$/ } @tags;
        push @made, $rust ? "${fence}rust" : $_;
    } elsif ($fence ne '') {
        if (/^\s*\Q$fence\E\s*$/) {
            $fence = '';
        } elsif ($rust) {
            next if /^\s*#( |$)/;
            s/^(\s*)##/$1#/;
        }
        push @made, $_;
    } elsif ($_ eq '') {
        $flush->();
        push @made, '';
    } else {
        push @paragraph, $_;
    }
}
$flush->();

my ($begin, $end) = ('<!-- crate docs: begin -->', '<!-- crate docs: end -->');
open my $old, '<', $readme or die "$readme: $!\n";
my ($inside, $marks) = (0, 0);
while (<$old>) {
    if (/^\Q$end\E$/) { $inside = 0; $marks++ }
    print unless $inside;
    if (/^\Q$begin\E$/) {
        $inside = 1;
        $marks++;
        print "\n", map({ "$_\n" } @made), "\n";
    }
}
die "readme: $readme must have one line '$begin' and one '$end'\n" if $marks != 2 || $inside;
PERL

if [[ ${1:-} == --write ]]; then
    cat "$made" >README.md
    echo "readme: written"
elif diff -u README.md "$made"; then
    echo "readme: as src/lib.rs says"
else
    echo "readme: README.md has drifted from src/lib.rs: run ci/readme.sh --write" >&2
    exit 1
fi
