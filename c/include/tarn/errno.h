/* SPDX-License-Identifier: Apache-2.0 */
/* tarn/errno.h: the one error table.
 *
 * Every call returns 0 (or a count) on success and a negative code on failure: -TARN_E_NONEXIST, and so on. Names and numbers
 * are those of DAOS (DER_NONEXIST, -1005). Beside the code there is always a sentence, see tarn_last_error() and
 * tarn_event_message(). Everything else that speaks of errors (the Go package, the gateway, the CLI's exit status) is generated
 * from the table below or checked against it by a test.
 *
 * Columns: name, number, the gRPC status code that the gateway answers with, what it means. */
#ifndef TARN_ERRNO_H
#define TARN_ERRNO_H

#ifdef __cplusplus
extern "C" {
#endif

#define TARN_FOREACH_ERROR(X)                                                                                                    \
	X(NO_PERM, 1001, PERMISSION_DENIED, "the caller may not do this")                                                        \
	X(NO_HDL, 1002, FAILED_PRECONDITION, "the handle is closed or was never open")                                           \
	X(INVAL, 1003, INVALID_ARGUMENT, "an argument is not valid")                                                             \
	X(EXIST, 1004, ALREADY_EXISTS, "it exists already")                                                                      \
	X(NONEXIST, 1005, NOT_FOUND, "it does not exist")                                                                        \
	X(UNREACH, 1006, UNAVAILABLE, "the peer cannot be reached")                                                              \
	X(NOSPACE, 1007, RESOURCE_EXHAUSTED, "there is no space left")                                                           \
	X(ALREADY, 1008, ALREADY_EXISTS, "it has been done already")                                                             \
	X(NOMEM, 1009, RESOURCE_EXHAUSTED, "there is no memory left")                                                            \
	X(NOSYS, 1010, UNIMPLEMENTED, "the function does not exist here")                                                        \
	X(TIMEDOUT, 1011, DEADLINE_EXCEEDED, "the time was up before the answer came")                                           \
	X(BUSY, 1012, FAILED_PRECONDITION, "it is in use")                                                                       \
	X(AGAIN, 1013, UNAVAILABLE, "not now: try again")                                                                        \
	X(PROTO, 1014, FAILED_PRECONDITION, "the two sides speak different versions")                                            \
	X(UNINIT, 1015, UNAVAILABLE, "it has not been initialised")                                                              \
	X(TRUNC, 1016, OUT_OF_RANGE, "the buffer is too small for all of it")                                                    \
	X(OVERFLOW, 1017, OUT_OF_RANGE, "the number does not fit")                                                               \
	X(CANCELED, 1018, CANCELLED, "the operation was cancelled")                                                              \
	X(HG, 1020, UNAVAILABLE, "the network layer failed")                                                                     \
	X(MISC, 1025, INTERNAL, "an error without a better name")                                                                \
	X(BADPATH, 1026, INVALID_ARGUMENT, "the path is not valid")                                                              \
	X(NOTDIR, 1027, INVALID_ARGUMENT, "it is not a directory")                                                               \
	X(MISMATCH, 1031, FAILED_PRECONDITION, "two things that must agree do not")                                              \
	X(DOS, 1034, RESOURCE_EXHAUSTED, "refused: too many requests of one client")                                             \
	X(OP_NOT_PERMITTED, 1041, PERMISSION_DENIED, "the operation is not permitted here")                                      \
	X(QUOTA_LIMIT, 1046, RESOURCE_EXHAUSTED, "a quota is used up")                                                           \
	X(IO, 2001, INTERNAL, "the device failed to read, write or flush")                                                       \
	X(ENOENT, 2003, NOT_FOUND, "the entry does not exist")                                                                   \
	X(NOTYPE, 2004, INVALID_ARGUMENT, "the type is not known")                                                               \
	X(STALE, 2007, UNAVAILABLE, "the pool map is out of date")                                                               \
	X(NOTLEADER, 2008, UNAVAILABLE, "it is not the leader: ask again")                                                       \
	X(EP_RO, 2010, FAILED_PRECONDITION, "it is read-only")                                                                   \
	X(EP_OLD, 2011, OUT_OF_RANGE, "that epoch is no longer kept")                                                            \
	X(KEY2BIG, 2012, INVALID_ARGUMENT, "the key is too long")                                                                \
	X(REC2BIG, 2013, INVALID_ARGUMENT, "the value is too large")                                                             \
	X(IO_INVAL, 2014, INVALID_ARGUMENT, "the buffers and the extents do not match")                                          \
	X(EQ_BUSY, 2015, RESOURCE_EXHAUSTED, "the event queue is full")                                                          \
	X(SHUTDOWN, 2017, UNAVAILABLE, "the service is going down")                                                              \
	X(INPROGRESS, 2018, UNAVAILABLE, "it is being done")                                                                     \
	X(NOTAPPLICABLE, 2019, FAILED_PRECONDITION, "it does not apply to this")                                                 \
	X(CSUM, 2021, DATA_LOSS, "what was read does not match its checksum")                                                    \
	X(DF_INVAL, 2022, FAILED_PRECONDITION, "this is not a Tarn pool")                                                        \
	X(DF_INCOMPT, 2023, FAILED_PRECONDITION, "the format on disk is of a version that this library does not know")           \
	X(REC_SIZE, 2024, OUT_OF_RANGE, "the record size does not match")                                                        \
	X(TX_RESTART, 2025, ABORTED, "the transaction lost a race: do it again")                                                 \
	X(DATA_LOSS, 2026, DATA_LOSS, "data is lost")                                                                            \
	X(OP_CANCELED, 2027, CANCELLED, "the operation was cancelled before it started")                                         \
	X(TX_BUSY, 2028, UNAVAILABLE, "the transaction is being committed")                                                      \
	X(RF, 2031, DATA_LOSS, "more failures than the redundancy can bear")                                                     \
	X(ID_MISMATCH, 2035, FAILED_PRECONDITION, "the id is not the one that was expected")                                     \
	X(NOTSUPPORTED, 2037, UNIMPLEMENTED, "it is not supported")                                                              \
	X(NO_SERVICE, 2039, UNAVAILABLE, "the service is not running")                                                           \
	X(TX_ID_REUSED, 2040, ABORTED, "the transaction id has been used before")                                                \
	X(UPDATE_AGAIN, 2041, ABORTED, "the update lost a race: do it again")                                                    \
	X(NVME_IO, 2042, INTERNAL, "the NVMe device answered with an error")                                                     \
	X(NO_CERT, 2043, UNAUTHENTICATED, "there is no certificate")                                                             \
	X(BAD_CERT, 2044, UNAUTHENTICATED, "the certificate is not valid")                                                       \
	X(CHKPT_BUSY, 2046, UNAVAILABLE, "a checkpoint is running")                                                              \
	X(OVERLOAD_RETRY, 2048, RESOURCE_EXHAUSTED, "too many requests: try again later")                                        \
	X(CONT_NONEXIST, 2050, NOT_FOUND, "the container does not exist")                                                        \
	X(CONT_DESTROYING, 2051, FAILED_PRECONDITION, "the container is being destroyed")

enum tarn_errno {
	TARN_OK = 0,
#define TARN_ERRNO_ENUM(name, number, grpc, text) TARN_E_##name = number,
	TARN_FOREACH_ERROR(TARN_ERRNO_ENUM)
#undef TARN_ERRNO_ENUM
};

#ifdef __cplusplus
}
#endif
#endif
