// WebNN's conformance vectors with tensors of a million elements and more.
// Not a benchmark.
import { describeCases } from './webnn-case.js';

describeCases('WebNN, large tensors', 1_000_000, Infinity);
