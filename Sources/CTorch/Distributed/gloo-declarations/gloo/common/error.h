// Nothing of it is named: algorithm.h.
#pragma once
