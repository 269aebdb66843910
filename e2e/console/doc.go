// Package console drives the web console in headless Chromium, on a real server
// with real functions: what it shows, that it can be used by keyboard and on a
// narrow screen, that axe-core finds no serious fault, and that it asks nobody
// but its server.
//
// The screenshots that the tests make are for people to look at. They are
// written to the directory that MILLICENT_SCREENSHOTS names, else to one that
// ends with the test.
package console
