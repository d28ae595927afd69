// Products with weights of every format, with and without tensor cores, of few and of more rows.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "Machine.hpp"
#include "Program.hpp"

#define ckernels product0
#define WB_FORMAT 0
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 8
#include "Product.ipp"

#define ckernels product1
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 8
#include "Product.ipp"

#define ckernels product2
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 8
#include "Product.ipp"

#define ckernels product3
#define WB_FORMAT 3
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 8
#include "Product.ipp"

#define ckernels product4
#define WB_FORMAT 0
#define WB_ELEMENT_BYTES 4
#define WB_ROWS 4
#include "Product.ipp"

#define ckernels product5
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 4
#define WB_ROWS 4
#include "Product.ipp"

#define ckernels product6
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 4
#define WB_ROWS 4
#include "Product.ipp"

#define ckernels product7
#define WB_FORMAT 3
#define WB_ELEMENT_BYTES 4
#define WB_ROWS 4
#include "Product.ipp"

#define ckernels product8
#define WB_FORMAT 1
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 16
#include "Product.ipp"

#define ckernels product9
#define WB_FORMAT 3
#define WB_ELEMENT_BYTES 2
#define WB_ROWS 16
#include "Product.ipp"

#define ckernels product10
#define WB_FORMAT 2
#define WB_ELEMENT_BYTES 4
#define WB_ROWS 16
#include "Product.ipp"

namespace {

const emulation::ProductProgram *const programs[] = {
    &product0::cuda::program, &product1::cuda::program, &product2::cuda::program,  &product3::cuda::program,
    &product4::cuda::program, &product5::cuda::program, &product6::cuda::program,  &product7::cuda::program,
    &product8::cuda::program, &product9::cuda::program, &product10::cuda::program,
};

}  // namespace

int cuda_emulation_product_count(void) { return int(sizeof(programs) / sizeof(programs[0])); }

cuda_emulation_product_kind cuda_emulation_product_describe(int program) {
  return {ck_weight_format(programs[program]->format), programs[program]->elementBytes, programs[program]->rows};
}

bool cuda_emulation_product(
    int program, const ck_matrix *matrices, int count, int64_t rows, const void *x, const float *gain, float epsilon,
    const void *residual, void *y, int shared_bytes, int blocks) {
  return programs[program]->run(matrices, count, rows, x, gain, epsilon, residual, y, shared_bytes, blocks);
}
