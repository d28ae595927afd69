// PCRE2 with 8-bit code units: the names Swift sees end in _8.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
