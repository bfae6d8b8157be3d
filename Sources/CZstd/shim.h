// libzstd, for the archives of results that the command line writes and reads.
#include <zstd.h>
