// WebNN's conformance vectors through the graph builder, on a context of a real driver; float graphs run on the host.
// Not the device's arithmetic, and not the two largest cases: those are slow.
import { describeCases } from './webnn-case.js';

describeCases('WebNN', 0, 1_000_000);
