// What needs a browser.
// Not a place for behaviour of devices or drivers.
export {};
