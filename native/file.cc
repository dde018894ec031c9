#include "native/file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "native/error.h"
#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <unistd.h>
#endif

namespace triga {

void ReadFully(const FilePlace& place, int64_t begin, char* out, int64_t bytes) {
  const std::string& path = place.file;
  const int64_t offset = place.offset + begin;
  const auto fail = [&](const std::string& why) {
    throw EngineError(ErrorCode::kModelFormat, path + ": cannot read " + std::to_string(bytes) +
                                                   " bytes at " + std::to_string(offset) + ": " +
                                                   why);
  };
#if defined(__unix__) || defined(__APPLE__)
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail(std::strerror(errno));
  int64_t done = 0;
  while (done < bytes) {
    const ssize_t n = pread(fd, out + done, static_cast<size_t>(bytes - done), offset + done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const std::string why = n < 0 ? std::strerror(errno)
                                    : "the file ends there; it was cut short since it was opened";
      close(fd);
      fail(why);
    }
    done += n;
  }
  close(fd);
#else
  FILE* f = std::fopen(path.c_str(), "rb");
  if (!f) fail("it cannot be opened");
  const bool ok = _fseeki64(f, offset, SEEK_SET) == 0 &&
                  std::fread(out, 1, static_cast<size_t>(bytes), f) == static_cast<size_t>(bytes);
  std::fclose(f);
  if (!ok) fail("the file ends there; it was cut short since it was opened");
#endif
}

}  // namespace triga
