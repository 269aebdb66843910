// A function that a stem warms up with.
export const handler = async (event) => event;
