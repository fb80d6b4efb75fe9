// Symbol.dispose where the engine lacks it (browsers before 2025). Imported before anything that uses it.
// Not the disposables themselves.
const symbols = Symbol as unknown as { dispose?: symbol; asyncDispose?: symbol };
symbols.dispose ??= Symbol.for('Symbol.dispose');
symbols.asyncDispose ??= Symbol.for('Symbol.asyncDispose');
