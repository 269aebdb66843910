// A function that a stem warms up with, of the older kind.
exports.handler = async (event) => event;
