/* Kernels over time: recurrent layers and spectra (see edgesmith_kernels.h). */
#ifndef EDGESMITH_SEQUENCE_H
#define EDGESMITH_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#endif
